;; Has a table of 2^26 elements: 512 MiB that the memory limit does not cover.
(module
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param i32 i32) (result i64) i64.const 0)
  (table 67108864 funcref)
)
