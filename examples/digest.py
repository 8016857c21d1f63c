#!/usr/bin/python3
"""Which manifest a tag means now, through libdavit: digest.py REF [LIBRARY]"""
import ctypes
import ctypes.util
import sys


class Digest(ctypes.Structure):
    """davit_digest of davit/digest.h."""
    _fields_ = [("algorithm", ctypes.c_int), ("bytes", ctypes.c_uint8 * 64), ("text", ctypes.c_char * 136)]


def load(path):
    lib = ctypes.CDLL(path or ctypes.util.find_library("davit"))
    lib.davit_error_message.argtypes = [ctypes.c_void_p]
    lib.davit_error_message.restype = ctypes.c_char_p
    for name in ("davit_error_free", "davit_reference_free", "davit_client_free"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
        getattr(lib, name).restype = None
    return lib


def call(lib, name, *args):
    """Everything that can fail returns a negative code and tells a story through its last argument."""
    err = ctypes.c_void_p()
    if getattr(lib, name)(*args, ctypes.byref(err)) < 0:
        message = lib.davit_error_message(err).decode()
        lib.davit_error_free(err)
        sys.exit(f"digest.py: {message}")


def main():
    lib = load(sys.argv[2] if len(sys.argv) > 2 else None)
    client, ref, digest = ctypes.c_void_p(), ctypes.c_void_p(), Digest()
    call(lib, "davit_client_new", None, ctypes.byref(client))
    call(lib, "davit_reference_parse", sys.argv[1].encode(), ctypes.byref(ref))
    call(lib, "davit_registry_resolve", client, ref, None, ctypes.byref(digest), None, None)
    print(digest.text.decode())
    lib.davit_reference_free(ref)
    lib.davit_client_free(client)


main()
