"""Service-account tokens and the keys that verify them, as an API server makes them; by openssl."""
import base64
import json
import subprocess
import time

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "lookaside.dev"


def _openssl(*args, data=None):
    return subprocess.run(("openssl",) + args, input=data, capture_output=True, check=True).stdout


def _text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _numbers(der):
    """The two integers of an ECDSA signature in DER, 32 bytes each."""
    at, out = 2, b""
    for _ in range(2):
        size = der[at + 1]
        out += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + size
    return out


class Key:
    """A signing key: its file, its name, and what the set says of it."""

    def __init__(self, folder, kid, curve=False):
        self.kid, self.curve, self.path = kid, curve, folder / f"{kid}.pem"
        kind = ("EC", "ec_paramgen_curve:P-256") if curve else ("RSA", "rsa_keygen_bits:2048")
        _openssl("genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", self.path)

    def jwk(self):
        if self.curve:
            point = _openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            return {"use": "sig", "kty": "EC", "kid": self.kid, "alg": "ES256", "crv": "P-256",
                    "x": _text(point[:32]), "y": _text(point[32:])}
        modulus = _openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().partition("=")[2]
        return {"use": "sig", "kty": "RSA", "kid": self.kid, "alg": "RS256",
                "n": _text(bytes.fromhex(modulus)), "e": "AQAB"}

    def token(self, account="shop/frontend", life=600, header=None, **claims):
        namespace, _, name = account.partition("/")
        header = {"alg": "ES256" if self.curve else "RS256", "kid": self.kid, **(header or {})}
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": f"system:serviceaccount:{namespace}:{name}", "aud": [AUDIENCE],
                  "iat": now, "nbf": now, "exp": now + life, **claims}
        covered = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
        signature = _openssl("dgst", "-sha256", "-sign", self.path, data=covered.encode())
        return f"{covered}.{_text(_numbers(signature) if self.curve else signature)}"


def documents(*keys, issuer=ISSUER):
    """What an API server answers whoever asks for its keys: {path: object}."""
    return {"/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/openid/v1/jwks"},
            "/openid/v1/jwks": {"keys": [key.jwk() for key in keys]}}
