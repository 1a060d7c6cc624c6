"""Fails when a feature of a crate is named at none of its items in the documentation, as docs.rs shows it.

`features.py Cargo.toml target/doc/countermark`
"""

import pathlib
import re
import sys
import tomllib

manifest, folder = map(pathlib.Path, sys.argv[1:])
features = set(tomllib.loads(manifest.read_text())["features"]) - {"default"}
badges = re.compile(r'class="stab portability"[^>]*>(.*?)</(?:div|span)>', re.DOTALL)
counted = dict.fromkeys(sorted(features), 0)
for page in folder.rglob("*.html"):
    for badge in badges.findall(page.read_text()):
        for feature in re.findall(r"<code>([^<]+)</code>", badge):
            if feature in counted:
                counted[feature] += 1
for feature, count in counted.items():
    print(f"   {feature}: named at {count} places")
missing = [feature for feature, count in counted.items() if not count]
if missing:
    print(f"FAILED: the documentation names these features nowhere: {', '.join(missing)}", file=sys.stderr)
    sys.exit(1)
