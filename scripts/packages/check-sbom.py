#!/usr/bin/env python3
"""Compares an SBOM with the list of crates that its program holds.

check-sbom.py PROGRAM SBOM
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zlib


def crates_of_program(path):
    """Returns name and version of each crate in the program, and of each that was used to build it.

    Both are in cargo-auditable's section.
    """
    with tempfile.NamedTemporaryFile() as section:
        subprocess.run(
            ["objcopy", "--dump-section", f".dep-v0={section.name}", path, "/dev/null"], check=True
        )
        packages = json.loads(zlib.decompress(pathlib.Path(section.name).read_bytes()))["packages"]
    built = {(each["name"], each["version"]) for each in packages if each.get("kind") != "build"}
    return built, {(each["name"], each["version"]) for each in packages}


def crates_of_sbom(path):
    """Returns name and version of each crate in a CycloneDX file."""
    text = path.read_text()
    if "/home/" in text or "file:///" in re.sub("file:///letschat/", "", text):
        sys.exit(f"{path.name} names a folder of the machine that built it")
    sbom = json.loads(text)
    components = [sbom["metadata"]["component"], *sbom["components"]]
    return {(each["name"], each["version"]) for each in components}


def check(program, sbom):
    """Exits with a sentence if the SBOM is not that of the program."""
    built, builders = crates_of_program(program)
    listed = crates_of_sbom(sbom)
    # The SBOM also lists crates with macros, which are used to build the program.
    if not built <= listed <= builders:
        sys.exit(f"{sbom.name}: it lacks {built - listed}, and should not have {listed - builders}")
    print(f"ok: {sbom.name} lists the {len(built)} crates of the program")


check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
