/* lookasidectl check: whether LookasideServices in files are in order, without an API server. */
#include "controller/check.h"

#include <stdio.h>

#include "base/log.h"
#include "files.h"
#include "model/name.h"

#define SUFFIXES_MAX 64
#define TEXT_MAX (64 * 1024)
#define PAGE_TEXT_MAX (256u * 1024 * 1024)

struct settings {
    struct flag_list files, services;
    const char *namespace_name, *suffixes, *output;
};

/* What was found, and how much of what was looked at. */
struct report {
    bool as_json;
    struct json_writer *writer;
    size_t faults, resources, others, hosts;
};

static void print_finding(const struct check_finding *finding)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    text_show(&text, str_of(finding->file));
    if (*finding->object)
        buf_printf(&text, ": %s", finding->object);
    buf_add_str(&text, STR(": "));
    text_show(&text, str_of(finding->message));
    printf("%s\n", buf_cstr(&text));
    buf_done(&text);
}

static void write_finding(struct json_writer *writer, const struct check_finding *finding)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "file", str_of(finding->file));
    json_put_u64(writer, "line", finding->line);
    json_put_str(writer, "object", str_of(finding->object));
    json_put_str(writer, "message", str_of(finding->message));
    json_put_bool(writer, "fault", finding->fault);
    json_close_object(writer);
}

static void on_finding(void *ctx, const struct check_finding *finding)
{
    struct report *report = ctx;

    report->faults += finding->fault;
    if (report->as_json)
        write_finding(report->writer, finding);
    else
        print_finding(finding);
}

/* ---- counts ---- */

static void count_object(struct report *report, const struct manifest_object *object)
{
    const struct json *hosts = json_get(json_get(object->json, "spec"), "hosts");

    if (object->kind != OBJECT_POLICY) {
        report->others++;
        return;
    }
    report->resources++;
    report->hosts += json_len(hosts) > 0;
}

static void count_file(struct report *report, const struct file *file)
{
    report->others += file->manifest.ignored_objects;
    for (size_t i = 0; i < file->manifest.len; i++)
        count_object(report, &file->manifest.objects[i]);
}

static void print_sum(const struct report *report, const struct settings *settings)
{
    if (report->hosts > 0 && !settings->suffixes)
        printf("hosts were not checked against suffixes: give those that Lookaside allows with --host-suffixes\n");
    printf("%zu LookasideService%s, %zu fault%s", report->resources,
           report->resources == 1 ? "" : "s", report->faults, report->faults == 1 ? "" : "s");
    if (report->others > 0)
        printf(" (%zu object%s of other kinds)", report->others, report->others == 1 ? "" : "s");
    printf("\n");
}

/* ---- the check ---- */

/* Of a file that is malformed, the rest was not read. */
static void add_files(struct check *check, const struct files *files, bool services_only,
                      struct report *report)
{
    for (size_t i = 0; i < files->len; i++) {
        const struct file *file = &files->items[i];
        struct check_finding finding = {file->name, 0, "", file->fault.msg, true};

        check_add(check, file->name, &file->manifest, services_only);
        if (file->fault.code != CODE_OK)
            on_finding(report, &finding);
        if (!services_only)
            count_file(report, file);
    }
}

/* False: some is none, or they are too many. */
static bool split_suffixes(char *text, const char *out[SUFFIXES_MAX + 1])
{
    size_t len = 0;

    while (text) {
        char *comma = strchr(text, ',');

        if (comma)
            *comma = '\0';
        if (len == SUFFIXES_MAX || name_count_labels(str_of(text)) < 2)
            return false;
        out[len++] = text;
        text = comma ? comma + 1 : NULL;
    }
    out[len] = NULL;
    return true;
}

static enum code check_files(const struct settings *settings, const struct check_options *options,
                             struct report *report, struct err *err)
{
    struct check *check = check_new(options);
    struct files files = {0}, services = {0};
    struct str namespace_name = str_of(settings->namespace_name);
    enum code code = files_read(&files, &settings->files, namespace_name, err);

    if (code == CODE_OK)
        code = files_read(&services, &settings->services, namespace_name, err);
    if (code == CODE_OK) {
        add_files(check, &files, false, report);
        add_files(check, &services, true, report);
        code = check_run(check, on_finding, report, err);
    }
    check_free(check);
    files_done(&files);
    files_done(&services);
    return code;
}

static int check(const struct settings *settings, const struct check_options *options, bool as_json)
{
    struct buf out = BUFFER_INIT(PAGE_TEXT_MAX);
    struct json_writer writer = json_writer(&out);
    struct report report = {.as_json = as_json, .writer = &writer};
    struct err err = {0};
    enum code code;

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT); /* the controller's words come as findings */
    json_open_object(&writer, NULL);
    json_open_array(&writer, "findings");
    code = check_files(settings, options, &report, &err);
    json_close_array(&writer);
    json_put_u64(&writer, "faults", report.faults);
    json_put_u64(&writer, "resources", report.resources);
    json_put_u64(&writer, "others", report.others);
    json_close_object(&writer);
    if (code == CODE_OK && as_json)
        printf("%s\n", buf_cstr(&out));
    else if (code == CODE_OK)
        print_sum(&report, settings);
    buf_done(&out);
    if (code == CODE_OK)
        return report.faults > 0;
    (void)failure(&err);
    return 2;
}

static int run(int argc, char **argv)
{
    struct settings settings = {.namespace_name = "", .output = "table"};
    const struct flag flags[] = {
        FILE_FLAG(&settings.files),
        {"services-from", "FILE",
         "where all Services are, as kubectl get services -A -o yaml prints them: one that is\n"
         "        referred to and is not there is a fault; as -f",
         .list = &settings.services},
        {"host-suffixes", "A,B", "as the servers have it: what spec.hosts is checked against",
         .value = &settings.suffixes},
        NAMESPACE_FLAG(&settings.namespace_name),
        OUTPUT_FLAG(&settings.output),
    };
    const char *suffixes[SUFFIXES_MAX + 1];
    CLEANUP(freep) char *text = NULL;
    struct check_options options = {0};
    bool as_json;
    int exit_code;

    if (!flags_parse(&check_command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0, &exit_code))
        return exit_code;
    if (settings.files.len == 0)
        return usage_error(&check_command, "-f FILE is missing");
    if (!namespace_is_valid(&check_command, settings.namespace_name))
        return 2;
    if (settings.suffixes) {
        text = xstrdup(settings.suffixes);
        options.host_suffixes = suffixes;
    }
    if (text && !split_suffixes(text, suffixes))
        return usage_error(&check_command,
                           "--host-suffixes: expected domains of two labels or more, such as "
                           "example.com, with commas between them");
    options.complete = settings.services.len > 0;
    return output_is_json(settings.output, &as_json) ? check(&settings, &options, as_json) : 2;
}

const struct command check_command = {
    "check",
    "check -f FILE... [--services-from FILE]... [--host-suffixes A,B] [-n NAMESPACE]\n"
    "                          [-o table|json]",
    "check LookasideServices in files, without an API server",
    run,
};
