#!/bin/sh
# The tests, run one after the other, because they share one controller, which is reset before each test.
set -u
: "${MOCKANKA_URL:?run this with: mockanka run cold-cache --clock manual -- sh test.sh}"
cd "$(dirname "$0")" || exit
. ./anka.sh
. ./mock.sh

# The id of the template 14.5-arm64 (28 GB), which is derived from the seed and the name and thus constant.
template=d05c2c8b-1a50-4718-87ef-cc20aee0d4e7
ANKA_BACKOFF=0 # simulated time does not pass while the client waits, so it retries without a pause

start_goes_through_a_pull() {
    id=$(anka_start "$template" job-1)
    mock_advance_until "$id" Pulling
    is Pulling "$(anka_show "$id" | field instance_state)"
    mock_advance_until "$id" Started
    is 192.0.2.11 "$(anka_show "$id" | field host_ip)"
    # One second until a node takes it, 3:44 for 28 GB at 1 Gbit/s, 20 seconds to boot.
    is 2024-01-01T00:04:05Z "$(mock_now)"

    anka_terminate "$id"
    mock_advance_until "$id" Terminated
}

start_is_sent_again_after_a_503() {
    mock_add_fault '{"match": {"method": "POST", "path": "/api/v1/vm"}, "do": {"status": 503}, "times": 1}'

    id=$(anka_start "$template" job-1)
    is 2 "$(mock_starts)"

    anka_terminate "$id"
}

start_ends_in_an_error_when_its_pull_fails() {
    mock_add_fault '{"match": {"event": "pull"}, "do": {"fail": "request canceled", "at": "50%", "final": true}}'

    id=$(anka_start "$template" job-1)
    mock_advance_until "$id" Error
    is "request canceled" "$(anka_show "$id" | field message)"

    # An instance in Error still exists and has to be terminated as well.
    anka_terminate "$id"
}

start_fails_while_the_controller_is_away() {
    mock_add_fault '{"id": "away", "match": {}, "do": {"refuse": "1m"}}'

    if anka_start "$template" job-1 2>/dev/null; then
        echo "the start succeeded although connections were refused" >&2
        return 1
    fi

    # The control API has a separate port, which remains available.
    mock_remove_fault away
    is 1 "$(mock_starts)"
    id=$(anka_start "$template" job-1)
    anka_terminate "$id"
}

# is EXPECTED ACTUAL: compare two strings.
is() {
    [ "$1" = "$2" ] || { echo "expected '$1', got '$2'" >&2 && return 1; }
}

number=0
failed=0
for test in start_goes_through_a_pull start_is_sent_again_after_a_503 \
    start_ends_in_an_error_when_its_pull_fails start_fails_while_the_controller_is_away; do
    number=$((number + 1))
    # Not "if ( ... )", because the shell ignores set -e in a condition.
    (
        set -e
        mock_reset
        $test
        mock_check_report
    )
    if [ $? -eq 0 ]; then
        echo "ok $number - $test"
    else
        echo "not ok $number - $test"
        failed=$((failed + 1))
    fi
done
echo "1..$number"
[ "$failed" -eq 0 ]
