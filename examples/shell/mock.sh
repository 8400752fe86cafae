# Steers mockanka by its control API. To be sourced; it needs MOCKANKA_URL. What is refused returns 22, as curl does,
# and says why on standard error.

mock_reset() {
    mock_ask POST reset >/dev/null
}

# mock_advance_until ID STATE: let time pass until an instance is in a state. Refused if it can never get there.
mock_advance_until() {
    mock_ask POST clock/advance "{\"until\": {\"instance\": \"$1\", \"state\": \"$2\"}}" >/dev/null
}

# mock_now: print the time by the mock's clock, as 2024-01-01T00:00:00Z.
mock_now() {
    mock_ask GET clock | field now
}

# mock_add_fault RULE
mock_add_fault() {
    mock_ask POST faults "$1" >/dev/null
}

# mock_remove_fault ID
mock_remove_fault() {
    mock_ask DELETE "faults/$1" >/dev/null
}

# mock_starts: print how many starts reached the controller, whatever became of them.
mock_starts() {
    mock_ask GET "requests?method=POST&path=/api/v1/vm" | grep -o '"number":' | grep -c .
}

# mock_find_no_fault: look at the report. It must be read before the next reset, which forgets it.
mock_find_no_fault() (
    report=$(mock_ask GET report)
    # Leaks, polls that come too fast, whatever else the client did wrong; and faults that never struck, by which
    # nothing was tested.
    case $report in
    *'"findings":[],"unused_faults":[]'*) ;;
    *) printf '%s\n' "$report" >&2 && return 1 ;;
    esac
)

mock_ask() (
    answer=$(curl -sS --fail-with-body -X "$1" ${3:+-d "$3"} "$MOCKANKA_URL/_mock/$2") || {
        status=$?
        printf '%s /_mock/%s: %s\n' "$1" "$2" "$answer" >&2
        return "$status"
    }
    printf '%s\n' "$answer"
)
