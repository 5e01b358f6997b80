/* Frames between two programs: exchange vale0:a waits for one, exchange vale0:b "text" sends it there. */
#include <vale.h>

int main(int argc, char** argv) {
  struct vale_port port;
  char frame[128] = "\377\377\377\377\377\377\2\0\0\0\0\1\x88\xb5";
  const int err = argc < 2 ? EINVAL : vale_open(&port, argv[1], 0);
  if (err != 0) return fprintf(stderr, "exchange PORT [TEXT]: %s\n", strerror(err)), 1;
  if (argc > 2) { /* everybody on the switch gets it */
    snprintf(frame + 14, sizeof frame - 14, "%s", argv[2]);
    return vale_send(&port, frame, sizeof frame);
  }
  size_t size;
  while ((size = vale_receive(&port, frame, sizeof frame)) == 0)
    if (vale_wait(&port, -1) < 0) return perror(argv[1]), 1;
  printf("%zu bytes: %.*s\n", size, (int)sizeof frame - 14, frame + 14);
  vale_close(&port);
}
