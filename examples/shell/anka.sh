# A small client of the Anka Build Cloud controller, to be sourced. It stands for your code, the code under test:
# nothing in it knows of mockanka. It needs ANKA_CONTROLLER_URL.
#
# Functions have bodies in ( ) rather than { }, so that their variables are their own.

ANKA_RETRIES=2 # how often a start is sent again
ANKA_BACKOFF=5 # seconds to wait before that

ANKA_UNAVAILABLE=75 # what is returned after a 503: the request was not carried out

# anka_start TEMPLATE JOB: ask for an instance of a template, and print its id.
#
# It is sent again after a 503 and after nothing else: when an answer is lost, an instance may have been started, and
# sending it again may start another one.
anka_start() (
    left=$ANKA_RETRIES
    while :; do
        answer=$(anka_call POST "" "{\"vmid\": \"$1\", \"external_id\": \"$2\"}") && break
        status=$?
        if [ "$status" -ne "$ANKA_UNAVAILABLE" ] || [ "$left" -eq 0 ]; then
            return "$status"
        fi
        left=$((left - 1))
        sleep "$ANKA_BACKOFF"
    done
    printf '%s\n' "$answer" | sed 's/.*"body": *\["\([^"]*\)"\].*/\1/'
)

# anka_show ID: print an instance, as JSON.
anka_show() {
    anka_call GET "?id=$1"
}

# anka_terminate ID
anka_terminate() {
    anka_call DELETE "" "{\"id\": \"$1\"}" >/dev/null
}

# anka_call METHOD QUERY [BODY]: print the answer.
anka_call() (
    answer=$(curl -sS -X "$1" ${3:+-d "$3"} -w '\n%{http_code}' "$ANKA_CONTROLLER_URL/api/v1/vm$2") || return
    [ "$(printf '%s\n' "$answer" | tail -n 1)" != 503 ] || return "$ANKA_UNAVAILABLE"
    # The envelope decides, not the HTTP status: failures come with 200 before release 1.20, and with 400 since.
    case $answer in
    '{"status":"OK"'*) printf '%s\n' "$answer" | sed '$d' ;;
    *) printf '%s\n' "$answer" >&2 && return 1 ;;
    esac
)

# field NAME: print the text that has this key in the JSON on standard input; the last one, if there are several. This
# is no parser, and does not need one as long as keys are known and texts have no quotes in them.
field() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}
