main:
  push 21
  call twice
  jump main
