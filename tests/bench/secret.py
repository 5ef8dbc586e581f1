"""A certificate for the rows over TLS, and the handshakes that there could be."""
import subprocess

from support.process import BUILD

CURVE = "ec_paramgen_curve:P-256"


def make(work):
    """(certificate, key), PEM, as a service has them: P-256."""
    certificate, key = work / "tls.crt", work / "tls.key"
    if not certificate.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", CURVE, "-nodes", "-days", "2", "-subj", "/CN=bench",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30)
    return certificate, key


def handshakes(work, seconds):
    """A second, both ends, that OpenSSL does with all cores and no network."""
    done = subprocess.run([BUILD / "bench/ends", "shake", *make(work), str(seconds)], capture_output=True, text=True, timeout=seconds + 30, check=True)
    return int(done.stdout.split()[1])
