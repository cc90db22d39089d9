"""Certificates for tests of TLS, as files."""

from __future__ import annotations

from pathlib import Path

import trustme


class Certificates:
    """Files of an authority, a server and a client."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.ca, self.rubbish = str(folder / "ca.pem"), str(folder / "rubbish.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        Path(self.rubbish).write_text("rubbish")
        self.server = self._issue(authority, folder / "server", "127.0.0.1")
        self.client = self._issue(authority, folder / "client", "client@example.org")

    @staticmethod
    def _issue(authority: trustme.CA, base: Path, name: str) -> tuple[str, str]:
        issued = authority.issue_cert(name)
        cert, key = f"{base}.pem", f"{base}.key"
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)
        return cert, key
