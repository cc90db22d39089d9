// The trivial worker in C: reads one file, writes one file, answers. It looks no further into a request
// than its first two arguments, IN and OUT, of less than 128 bytes each, as the one in Python.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy(const char *source, const char *target) {
  FILE *in = fopen(source, "rb"), *out = fopen(target, "wb");
  int character;
  if (in == NULL || out == NULL) return 1;
  while ((character = getc(in)) != EOF) putc(toupper(character), out);
  fclose(in);
  return fclose(out);
}

// Reads a length in the base-128 form of protocol buffers; -1 at the end of the input.
static long read_length(void) {
  long length = 0;
  for (int shift = 0;; shift += 7) {
    int byte = getchar();
    if (byte == EOF) return -1;
    length |= (long)(byte & 0x7f) << shift;
    if (byte < 0x80) return length;
  }
}

int main(void) {
  for (;;) {
    char words[2][128];
    long length = read_length();
    if (length < 0) return 0;
    char *payload = malloc(length);
    if (payload == NULL || fread(payload, 1, length, stdin) != (size_t)length) return 1;
    const char *at = payload;
    for (int number = 0; number < 2; number++) {  // field 1, `arguments`: a tag, a length, the bytes
      size_t size = at[1];
      memcpy(words[number], at + 2, size);
      words[number][size] = '\0';
      at += 2 + size;
    }
    free(payload);
    if (copy(words[0], words[1]) != 0) return 1;
    putchar(0);  // an empty WorkResponse
    fflush(stdout);
  }
}
