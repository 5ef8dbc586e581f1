# Field and enum numbers of .proto files as C enumerators, so that what is written by hand takes its
# numbers from the .proto files only:
#
#   message DiscoveryRequest { string version_info = 1; }   ->   DISCOVERY_REQUEST_VERSION_INFO = 1
#   message Cluster { enum LbPolicy { RING_HASH = 2; } }    ->   CLUSTER_LB_POLICY_RING_HASH = 2
#
# and the type URL that names a message in a google.protobuf.Any:
#
#   package envoy.config.cluster.v3; message Cluster        ->   CLUSTER_URL "type.googleapis.com/envoy.config..."
#
# Reads what our own files use of proto3, one statement a line: syntax, package, import, option,
# message, enum, oneof, map, reserved, service. Two names that collide fail the build.

function upper_snake(name,    out, i, ch, before, after)
{
    sub(/^UInt/, "Uint", name)
    out = ""
    for (i = 1; i <= length(name); i++) {
        ch = substr(name, i, 1)
        before = substr(name, i - 1, 1)
        after = substr(name, i + 1, 1)
        if (i > 1 && ch ~ /[A-Z]/ && (before ~ /[a-z0-9]/ || (before ~ /[A-Z]/ && after ~ /[a-z]/)))
            out = out "_"
        out = out ch
    }
    return toupper(out)
}

function fail(why)
{
    printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0 > "/dev/stderr"
    failed = 1
    exit 1
}

# The names of the messages and enums around this line; oneofs and services add nothing.
function scope(    i, out)
{
    out = ""
    for (i = 1; i <= depth; i++)
        out = out (names[i] == "" ? "" : upper_snake(names[i]) "_")
    return out
}

function claim(name)
{
    if (name in seen)
        fail(name " is also defined in " seen[name])
    seen[name] = FILENAME
    return name
}

function emit_number(name, number)
{
    lines[++count] = sprintf("    %s = %d,", claim(scope() toupper(name)), number)
}

function emit_url(message)
{
    printf "#define %s \"type.googleapis.com/%s.%s\"\n", claim(upper_snake(message) "_URL"), package, message
}

BEGIN {
    if (guard == "")
        guard = "WIRE_FIELDS_H"
    print "/* Made by pkg/wire/fields.awk from .proto files; do not edit. */"
    print "#ifndef " guard
    print "#define " guard
    print ""
}

{ sub(/\/\/.*/, ""); gsub(/^[ \t]+|[ \t]+$/, "") }

FNR == 1 && depth != 0 { fail("unbalanced braces before this file") }
/^package / { package = $2; sub(/;/, "", package); next }
/^$/ || /^(syntax|import|option|reserved) / { next }
/^message / && depth == 0 { emit_url($2) }
/^(message|enum) [A-Za-z0-9]+ \{$/ { kinds[++depth] = $1; names[depth] = $2; next }
/^(oneof|service) [A-Za-z0-9_]+ \{$/ { kinds[++depth] = $1; names[depth] = ""; next }
/^rpc .*;$/ && kinds[depth] == "service" { next }
/^\}$/ { if (--depth < 0) fail("unbalanced braces"); next }
depth > 0 && match($0, /[A-Za-z0-9_]+ = [0-9]+;$/) {
    split(substr($0, RSTART), part, / = |;/)
    emit_number(part[1], part[2])
    next
}
{ fail("not understood") }

END {
    if (failed)
        exit 1
    print ""
    print "enum {"
    for (i = 1; i <= count; i++)
        print lines[i]
    print "};"
    print ""
    print "#endif"
}
