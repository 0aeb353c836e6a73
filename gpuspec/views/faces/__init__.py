"""The Chinese face of pages and pictures; its regular weight comes with a package."""

from pathlib import Path

CHINESE = "Noto Sans CJK SC"
BOLD = Path(__file__).with_name("NotoSansCJKsc-Bold.otf")
"""Written by ``tools/write_bold_face.py``."""
