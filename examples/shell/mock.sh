# A client of mockanka's control API. Source this file; it needs MOCKANKA_URL. A failed request returns 22, like curl,
# and prints the reason on standard error.

mock_reset() {
    mock_call POST reset >/dev/null
}

# mock_advance_until ID STATE: advance the clock until an instance is in a state. Fails if it can never reach it.
mock_advance_until() {
    mock_call POST clock/advance "{\"until\": {\"instance\": \"$1\", \"state\": \"$2\"}}" >/dev/null
}

# mock_now: print the time of the mock's clock, as 2024-01-01T00:00:00Z.
mock_now() {
    mock_call GET clock | field now
}

# mock_add_fault RULE: add a fault rule.
mock_add_fault() {
    mock_call POST faults "$1" >/dev/null
}

# mock_remove_fault ID: remove a fault rule.
mock_remove_fault() {
    mock_call DELETE "faults/$1" >/dev/null
}

# mock_starts: print how many starts reached the controller, successful or not.
mock_starts() {
    mock_call GET "requests?method=POST&path=/api/v1/vm" | grep -o '"number":' | grep -c .
}

# mock_check_report: check the report. Call it before the next reset, which clears the report.
mock_check_report() (
    report=$(mock_call GET report)
    # Everything that the client did wrong, such as leaks and polls that are too fast, and faults that never fired and
    # were therefore not tested.
    case $report in
    *'"findings":[],"unused_faults":[]'*) ;;
    *) printf '%s\n' "$report" >&2 && return 1 ;;
    esac
)

mock_call() (
    response=$(curl -sS --fail-with-body -X "$1" ${3:+-d "$3"} "$MOCKANKA_URL/_mock/$2") || {
        status=$?
        printf '%s /_mock/%s: %s\n' "$1" "$2" "$response" >&2
        return "$status"
    }
    printf '%s\n' "$response"
)
