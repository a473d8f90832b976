/*
** Plays `lua` for main.lua: becomes the program under test, under the name it was called by.
**
** main.lua starts two programs in the background and reads the process number that its shell prints before what the
** program prints. On a busy machine the program is often first; so these two start late.
*/

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main (int argc, char **argv) {
  int i;
  for (i = 1; i < argc; i++) {
    if (strstr(argv[i], "while true do end") || strstr(argv[i], "string.rep('a', 100000)"))
      usleep(300 * 1000);
  }
  execv("./program", argv);
  perror("./program");
  return 1;
}
