#!/bin/sh
# A persistent worker that needs nothing but a shell. It speaks JSON, one request at a time (protocol = "json"),
# and numbers the lines of a file: --in FILE --out FILE. File names with " or \ are beyond it.
# With --persistent_worker it serves requests until stdin ends; otherwise it runs once, with @FLAGFILE.
set -u

# Number the lines of $1 into $2; the text of an error goes to $message.
number_lines() {
    message=
    if [ ! -r "$1" ] || [ -d "$1" ]; then
        message="cannot read $1"
        return 1
    fi
    count=0
    while IFS= read -r line || [ -n "$line" ]; do
        count=$((count + 1))
        printf '%3d  %s\n' "$count" "$line"
    done <"$1" >"$2"
}

# Set $value to the string that follows the string $1 in the request.
string_after() {
    value=${request#*\"$1\"*\"}
    value=${value%%\"*}
}

serve() {
    while IFS= read -r request; do
        # Fields come in their order: arguments, inputs, and the rest behind the last list. A shell searches
        # long texts slowly, and there may be thousands of inputs.
        rest=${request##*]}
        request=${request%%'"inputs":'*}
        string_after --in
        input=$value
        string_after --out
        status=0
        number_lines "$input" "$value" || status=1
        id=${rest#*\"requestId\":}
        if [ "$id" = "$rest" ]; then id=0; fi
        id=${id#"${id%%[! ]*}"}
        printf '{"exitCode":%d,"output":"%s","requestId":%d}\n' "$status" "$message" "${id%%[!0-9]*}"
    done
}

run_once() {
    input='' output=''
    while IFS= read -r argument; do
        case $argument in
            --in) IFS= read -r input ;;
            --out) IFS= read -r output ;;
        esac
    done <"$1"
    number_lines "$input" "$output" || {
        printf '%s\n' "$message" >&2
        exit 1
    }
}

for last in "$@"; do :; done
case " $* " in
    *" --persistent_worker "*) serve ;;
    *) run_once "${last#@}" ;;
esac
