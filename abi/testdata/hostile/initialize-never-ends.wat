;; Its _initialize never ends, and calls a function in its loop.
(module
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param i32 i32) (result i64) i64.const 0)
  (func $turn (param i64) (result i64) local.get 0 i64.const 1 i64.add)
  (func $init (export "_initialize") (local i64)
    loop $again local.get 0 call $turn local.set 0 br $again end)
)
