;; Has a second memory section, behind the code.
(module
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param i32 i32) (result i64) i64.const 0)
  (section 5 "\01\00\01")
)
