"""A throw-away certificate authority, and what it signs for one run, made by openssl."""

import subprocess

CA_CONFIG = """
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = e2e throw-away CA
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""

DAYS = "2"


def openssl(folder, *args):
    done = subprocess.run(("openssl",) + args, cwd=folder, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]}: {done.stderr.strip()}")


def make_authority(folder):
    (folder / "ca.cnf").write_text(CA_CONFIG)
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", DAYS, "-config", "ca.cnf")


def sign(folder, name, subject, usage, alternative_names=""):
    """Leaves name.crt and name.key beside the authority's."""
    extensions = f"extendedKeyUsage = {usage}\n"
    if alternative_names:
        extensions += f"subjectAltName = {alternative_names}\n"
    (folder / f"{name}.ext").write_text(extensions)
    openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def make_all(folder, service_address):
    make_authority(folder)
    sign(folder, "server", "/CN=kube-apiserver", "serverAuth",
         f"IP:127.0.0.1,IP:{service_address},DNS:localhost")
    sign(folder, "admin", "/O=system:masters/CN=e2e-admin", "clientAuth")
    openssl(folder, "genrsa", "-out", "service-account.key", "2048")
