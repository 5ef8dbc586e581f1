/*
 * A folder of its own for a test, gone afterwards.
 */
#ifndef TESTS_UNIT_CONTROLLER_FILES_H
#define TESTS_UNIT_CONTROLLER_FILES_H

#include <criterion/criterion.h>

/* Makes one; its path without a trailing slash. */
const char *files_start(void);
void files_stop(void);
const char *files_path(void);

/* The way of `cat > name`: truncates, then writes. */
void file_write(const char *name, const char *text);
/* The way of editors: a temporary file, then rename over. */
void file_replace(const char *name, const char *text);
void file_delete(const char *name);
void file_rename(const char *from, const char *to);
void file_link(const char *to, const char *name); /* symbolic; over what has that name */
void file_mkdir(const char *name);
/* The folder itself, with all that is in it. */
void folder_delete(void);
void folder_make(void);
void folder_move_aside(void); /* it lives on under another name */
void folder_move_back(void);  /* in place of what is there now */

/* Manifests in namespace shop. */
#define SERVICE_YAML(name, port)                                                                   \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: shop}\n"                 \
    "spec: {ports: [{port: " #port "}]}\n"
#define SLICE_YAML(name, service, addresses)                                                       \
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: " name               \
    "\n  namespace: shop\n  labels: {kubernetes.io/service-name: " service "}\n"                   \
    "addressType: IPv4\nports: [{port: 9001}]\nendpoints:\n" addresses
#define AT(address) "- addresses: [" address "]\n"

#endif
