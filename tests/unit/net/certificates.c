#include "certificates.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define HOUR 3600
#define DAY (24 * HOUR)

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static void must(int good)
{
    if (good > 0)
        return;
    ERR_print_errors_fp(stderr);
    abort();
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL);
    must(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static X509 *make(EVP_PKEY *key, const char *name, int64_t begin_s, int64_t end_s)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);

    must(X509_set_version(certificate, X509_VERSION_3));
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial));
    must(X509_gmtime_adj(X509_getm_notBefore(certificate), begin_s) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(certificate), end_s) != NULL);
    must(X509_set_pubkey(certificate, key));
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0));
    return certificate;
}

struct authority *authority_new(void)
{
    struct authority *authority = malloc(sizeof(*authority));
    X509 *certificate;

    authority->key = EVP_EC_gen("P-256");
    certificate = make(authority->key, "throw-away authority", -HOUR, DAY);
    must(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)));
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    must(X509_sign(certificate, authority->key, EVP_sha256()));
    authority->certificate = certificate;
    return authority;
}

void authority_free(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
    free(authority);
}

static FILE *open_file(const char *path)
{
    FILE *file = fopen(path, "w");

    must(file != NULL);
    return file;
}

static void write_certificate(X509 *certificate, const char *path)
{
    FILE *file = open_file(path);

    must(PEM_write_X509(file, certificate));
    must(fclose(file) == 0);
}

static void write_key(EVP_PKEY *key, const char *passphrase, const char *path)
{
    FILE *file = open_file(path);
    int len = passphrase ? (int)strlen(passphrase) : 0;

    must(PEM_write_PKCS8PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
                                   len, NULL, NULL));
    must(fclose(file) == 0);
}

void authority_write(const struct authority *authority, const char *path)
{
    write_certificate(authority->certificate, path);
}

void authority_sign(const struct authority *authority, const struct certificate_spec *spec,
                    const char *cert_path, const char *key_path)
{
    static const struct certificate_spec defaults;
    EVP_PKEY *key;
    X509 *certificate;

    spec = spec ? spec : &defaults;
    key = spec->rsa_bits ? EVP_RSA_gen(spec->rsa_bits) : EVP_EC_gen("P-256");
    must(key != NULL);
    certificate =
        make(key, "server", spec->begin_s ? spec->begin_s : -HOUR, spec->end_s ? spec->end_s : DAY);
    must(X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate)));
    add_extension(certificate, authority->certificate, NID_subject_alt_name,
                  spec->names ? spec->names : "DNS:localhost,IP:127.0.0.1");
    add_extension(certificate, authority->certificate, NID_ext_key_usage,
                  spec->usage ? spec->usage : "serverAuth");
    must(X509_sign(certificate, authority->key, EVP_sha256()));
    if (cert_path)
        write_certificate(certificate, cert_path);
    if (key_path)
        write_key(key, spec->passphrase, key_path);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
