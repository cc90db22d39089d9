; helpers
twice:
  add
  ret
panic:
  jump panic
