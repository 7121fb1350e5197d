;; A component, not a core module.
;; bytes: \x00asm\x0d\x00\x01\x00
(module)
