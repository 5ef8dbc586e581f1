/*
 * xdstp resource names (gRFC A47): "xdstp://<authority>/<resource type>/<id>[?<context parameters>]". What a resource refers to by such a name
 * has the same authority. The id is what a name without all that is (model/name.h), percent-encoded where it has to be; context parameters
 * say nothing to us. A name with a directive ('#') or a glob ('*') is refused.
 *
 * Pure.
 */
#ifndef MODEL_XDSTP_H
#define MODEL_XDSTP_H

#include "base/buf.h"
#include "model/name.h"

#define XDSTP_AUTHORITY_MAX 253

/* Borrowed from the name. */
struct xdstp {
    struct str authority, type;
    struct str id; /* still encoded */
};

bool xdstp_is(struct str name);
/* INVALID_ARGUMENT says what is wrong with it. `name` is one (xdstp_is()). */
enum code xdstp_parse(struct str name, struct xdstp *ret_xdstp, struct err *err) must_check;
/* The id as it is meant: at most NAME_TEXT_MAX bytes. */
enum code xdstp_read_id(const struct xdstp *xdstp, char out[NAME_TEXT_MAX], struct str *ret_id, struct err *err) must_check;
/* The name of a resource of that type (without "type.googleapis.com/"). `authority` empty: the id itself. */
void xdstp_put(struct buf *out, struct str authority, struct str type, struct str id);

#endif
