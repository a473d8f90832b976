-- Pieces that compare equal and differ in length. Run by host.c, where strcoll ignores '\1'.
assert("a\1\1\1\1" <= "a" and "a" <= "a\1\1\1\1")
assert("a\1\1\1\1\0x" < "a\0y")
assert("a\0x" < "a\1\1\1\1\0y")
assert("a\1\1\1\1\0x" <= "a\0x" and "a\0x" <= "a\1\1\1\1\0x")
assert("a" < "a\1\1\1\1\0x" and not ("a\1\1\1\1\0x" < "a"))
assert("a\1\1\1\1" < "a\0x" and not ("a\0x" < "a\1\1\1\1"))
print("ok")
