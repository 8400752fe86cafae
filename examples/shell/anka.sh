# A small client of the Anka Build Cloud controller. It stands for the code under test and does not depend on mockanka.
# Source this file; it needs ANKA_CONTROLLER_URL.
#
# Function bodies are in ( ) rather than { }, so that their variables are local.

ANKA_RETRIES=2 # number of times that a start is repeated
ANKA_BACKOFF=5 # seconds before a start is repeated

ANKA_UNAVAILABLE=75 # status after a 503 response: the request was not carried out

# anka_start TEMPLATE JOB: start an instance of a template and print its id.
#
# The request is repeated after a 503 only. If a response is lost, the instance may exist already, and repeating the
# request may start a second one.
anka_start() (
    left=$ANKA_RETRIES
    while :; do
        response=$(anka_call POST "" "{\"vmid\": \"$1\", \"external_id\": \"$2\"}") && break
        status=$?
        if [ "$status" -ne "$ANKA_UNAVAILABLE" ] || [ "$left" -eq 0 ]; then
            return "$status"
        fi
        left=$((left - 1))
        sleep "$ANKA_BACKOFF"
    done
    printf '%s\n' "$response" | sed 's/.*"body": *\["\([^"]*\)"\].*/\1/'
)

# anka_show ID: print an instance, as JSON.
anka_show() {
    anka_call GET "?id=$1"
}

# anka_terminate ID: terminate an instance.
anka_terminate() {
    anka_call DELETE "" "{\"id\": \"$1\"}" >/dev/null
}

# anka_call METHOD QUERY [BODY]: send a request and print the response.
anka_call() (
    response=$(curl -sS -X "$1" ${3:+-d "$3"} -w '\n%{http_code}' "$ANKA_CONTROLLER_URL/api/v1/vm$2") || return
    [ "$(printf '%s\n' "$response" | tail -n 1)" != 503 ] || return "$ANKA_UNAVAILABLE"
    # Check the envelope, not the HTTP status: failures have status 200 before release 1.20, and 400 from then on.
    case $response in
    '{"status":"OK"'*) printf '%s\n' "$response" | sed '$d' ;;
    *) printf '%s\n' "$response" >&2 && return 1 ;;
    esac
)

# field NAME: print the string with this key in the JSON on standard input, the last one if there are several. This is
# not a parser; it works as long as the strings contain no quotes.
field() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}
