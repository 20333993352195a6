"""What the program is made of: lock files, known vulnerabilities, bill of materials, digests of images.

docs/testing.md lists the targets of make that run these modules.
"""
