  frobnicate
