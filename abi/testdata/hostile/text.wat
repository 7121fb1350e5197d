;; Not WebAssembly at all.
;; bytes: #!/bin/sh
(module)
