;; Declares a struct type.
(module
  (section 1 "\01\5f\00\00")
)
