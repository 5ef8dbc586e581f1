#include <criterion/criterion.h>

#include "base/buf.h"
#include "kube/exec_credential.h"

#define V1 "client.authentication.k8s.io/v1"
#define CREDENTIAL(rest) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"" rest "}"
#define STATUS(fields) CREDENTIAL(",\"status\":{" fields "}")
#define PEM "-----BEGIN X-----\\n"

Test(exec_credential, reads_a_token_and_its_end)
{
    struct exec_credential credential = {0};
    struct err err = {0};

    cr_assert_eq(exec_credential_parse(STR(" " STATUS("\"token\":\"abc\",\"expirationTimestamp\":"
                                                      "\"2026-01-02T03:04:05Z\"") "\n"),
                                       V1, &credential, &err),
                 CODE_OK, "%s", err.msg);
    cr_assert_str_eq(credential.token, "abc");
    cr_assert_null(credential.cert);
    cr_assert_eq(credential.expires_us, UINT64_C(1767323045000000));
    exec_credential_done(&credential);
    cr_assert_null(credential.token);
}

Test(exec_credential, reads_a_certificate)
{
    struct exec_credential credential = {0};

    cr_assert_eq(exec_credential_parse(
                     STR(STATUS("\"clientCertificateData\":\"" PEM "\",\"clientKeyData\":\"" PEM
                                "\",\"token\":null,\"more\":1")),
                     V1, &credential, NULL),
                 CODE_OK);
    cr_assert_null(credential.token);
    cr_assert_str_eq(credential.cert, "-----BEGIN X-----\n");
    cr_assert_str_eq(credential.key, "-----BEGIN X-----\n");
    cr_assert_eq(credential.expires_us, 0);
    exec_credential_done(&credential);
}

Test(exec_credential, says_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", ""},
        {"[]", "expected an ExecCredential, found an array"},
        {"{}", "kind: expected ExecCredential, found ''"},
        {"{\"kind\":\"Status\"}", "kind: expected ExecCredential, found 'Status'"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}",
         "apiVersion: expected " V1 ", found 'client.authentication.k8s.io/v1beta1'"},
        {CREDENTIAL(""), "status: is missing"},
        {CREDENTIAL(",\"status\":[]"), "status: expected an object, found an array"},
        {STATUS(""), "status: there is neither a token nor a certificate"},
        {STATUS("\"token\":5"), "status.token: expected a string, found a number"},
        {STATUS("\"token\":\"hunter2 \\n\""), "status.token: holds white space"},
        {STATUS("\"clientKeyData\":\"" PEM "\""),
         "status: clientCertificateData and clientKeyData go together"},
        {STATUS("\"token\":\"t\",\"clientCertificateData\":\"" PEM "\""),
         "status: clientCertificateData and clientKeyData go together"},
        {STATUS("\"clientCertificateData\":\"hunter2\",\"clientKeyData\":\"" PEM "\""),
         "status.clientCertificateData: holds no PEM block"},
        {STATUS("\"clientCertificateData\":\"" PEM "\",\"clientKeyData\":\"hunter2\""),
         "status.clientKeyData: holds no PEM block"},
        {STATUS("\"token\":\"t\",\"expirationTimestamp\":\"soon\""),
         "status.expirationTimestamp: expected a time"},
        {STATUS("\"token\":\"t\",\"expirationTimestamp\":7"),
         "status.expirationTimestamp: expected a string, found a number"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exec_credential credential = {0};
        struct err err = {0};

        cr_assert_neq(exec_credential_parse(str_of(cases[i].text), V1, &credential, &err), CODE_OK,
                      "%s", cases[i].text);
        cr_assert_not_null(strstr(err.msg, cases[i].message), "%s: %s", cases[i].text, err.msg);
        cr_assert_null(strstr(err.msg, "hunter2"));
        cr_assert_null(credential.token);
    }
}

Test(exec_credential, refuses_a_token_that_is_too_long)
{
    struct buf text = BUFFER_INIT(1 << 20);
    struct exec_credential credential = {0};
    struct err err = {0};

    buf_add_str(&text, STR("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                           "\",\"status\":{\"token\":\""));
    for (size_t i = 0; i <= EXEC_TOKEN_MAX; i++)
        buf_add_char(&text, 'a');
    buf_add_str(&text, STR("\"}}"));
    cr_assert_eq(exec_credential_parse(buf_str(&text), V1, &credential, &err),
                 CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "status.token: is larger than 65536 bytes");
    buf_done(&text);
}

Test(exec_credential, asks_without_the_cluster_where_it_is_not_wanted)
{
    struct kube_exec exec = {.api_version = (char[]){V1}};
    struct kube_config config = {.server = (char[]){"https://api"}, .exec = &exec};
    CLEANUP(freep) char *ask = exec_credential_ask(&config, STR("pem"));

    cr_assert_str_eq(ask, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                          "\",\"spec\":{\"interactive\":false}}");
}

Test(exec_credential, asks_with_all_of_the_cluster)
{
    struct kube_exec exec = {.api_version = (char[]){V1}, .cluster_info = true};
    struct kube_config config = {.server = (char[]){"https://api"},
                                 .insecure_skip_verify = true,
                                 .proxy_url = (char[]){"http://proxy"},
                                 .exec = &exec};
    CLEANUP(freep) char *ask = exec_credential_ask(&config, STR(""));

    cr_assert_str_eq(ask, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                          "\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":"
                          "\"https://api\",\"insecure-skip-tls-verify\":true,\"proxy-url\":"
                          "\"http://proxy\"}}}");
}
