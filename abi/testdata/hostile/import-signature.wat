;; Imports a host function with the signature of another one.
(module
  (import "tidemill_v1" "fuel_left" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param i32 i32) (result i64) i64.const 0)
)
