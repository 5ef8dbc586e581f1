#!/bin/sh
# Checks that every include stays inside its layer: `make layers` passes the layers as arguments and
# what each may include as may_<layer>. Names file and line of each offence; exit 1 if there is one.
set -eu

offences=$(mktemp)
trap 'rm -f "$offences"' EXIT

offend() { # file:line what
    printf '%s: %s\n' "$1" "$2" >>"$offences"
}

# The layer that alone may include a library's header; nothing for what all may use.
library_owner() { # header
    case $1 in
    cjson/* | cJSON.h | yaml.h | xxhash.h | xxh3.h) echo base ;;
    uv.h | uv/*) echo loop ;;
    openssl/*) echo net ;;
    curl/*) echo kube ;;
    protobuf-c/* | google/protobuf-c/*) echo wire ;;
    nghttp2/*) echo grpc ;;
    microhttpd.h) echo admin ;;
    esac
}

may_include() { # layer included: generated protobuf code belongs to wire
    case " $2 " in
    *" $1 "*) return 0 ;;
    esac
    return 1
}

check_library() { # where self header
    owner=$(library_owner "$3")
    [ -z "$owner" ] || [ "$owner" = "$2" ] || offend "$1" "<$3> belongs to pkg/$owner"
}

check_own() { # where self allowed header
    case $4 in
    *.pb-c.h) target=wire ;;
    */*) target=${4%%/*} ;;
    *) [ "$2" = cmd ] && return # a program's own header beside it
        offend "$1" "\"$4\": write the layer too, as in \"base/str.h\"" && return ;;
    esac
    may_include "$target" "$2 $3" || offend "$1" "$2 may not include \"$4\" ($target)"
}

# Every include of a folder as "file:line kind header", kind < or ".
includes() { # folder
    find "$1" -name '*.[ch]' -exec awk '
        match($0, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*/) {
            text = substr($0, RSTART, RLENGTH)
            sub(/^[ \t]*#[ \t]*include[ \t]*/, "", text)
            print FILENAME ":" FNR, substr(text, 1, 1), substr(text, 2)
        }' {} +
}

check_folder() { # folder self allowed
    [ -d "$1" ] || return 0
    includes "$1" | while read -r where kind header; do
        case $kind in
        '<') check_library "$where" "$2" "$header" ;;
        *) check_own "$where" "$2" "$3" "$header" ;;
        esac
    done
}

without() { # words: all layers but these
    for layer in $all; do
        case " $1 " in *" $layer "*) ;; *) printf '%s ' "$layer" ;; esac
    done
}

all="$*"
[ -n "$all" ] || { echo "layers: which layers?" >&2 && exit 2; }
for layer in $all; do
    eval "allowed=\${may_$layer?layers: may_$layer is not set}"
    [ -d "pkg/$layer" ] || { echo "layers: no folder pkg/$layer" >&2 && exit 2; }
    check_folder "pkg/$layer" "$layer" "$allowed"
done
for folder in pkg/*/; do
    layer=${folder#pkg/} && layer=${layer%/}
    may_include "$layer" "$all" || offend "$folder" "is no layer of the Makefile"
done
for folder in cmd/*/; do
    program=${folder%/}
    case $program in
    cmd/lookasidectl) check_folder "$program" cmd "$(without "serve admin")" ;;
    *) check_folder "$program" cmd "$all" ;;
    esac
done

sort -u "$offences" | sed 's/^/layers: /' >&2
[ ! -s "$offences" ]
