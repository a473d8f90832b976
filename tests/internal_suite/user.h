/*
** Read by every file of the Lua that the internal tests run on, through LUA_USER_H.
*/

/* gives way to the function of this name in debug_realloc.rs */
#pragma weak debug_realloc

#include "ltests.h"

#if defined(lua_c)
/*
** Reads a line, and repeats it as GNU readline does when there is no terminal: main.lua expects that, and not every
** machine has readline's headers.
*/
#include <stdio.h>
#define lua_initreadline(L)	((void)L)
#define lua_readline(L,b,p) \
	((void)L, fputs(p, stdout), fflush(stdout), \
	 fgets(b, LUA_MAXINPUT, stdin) != NULL && fputs(b, stdout) >= 0)
#define lua_saveline(L,line)	((void)L, (void)line)
#define lua_freeline(L,b)	((void)L, (void)b)
#endif
