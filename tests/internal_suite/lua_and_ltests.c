/*
** Lua and its internal test library as one file: the library needs Lua's internal functions, which lua54_pool's one
** translation unit hides from other files.
*/

#include "onelua.c"

/* names that Lua's libraries have taken */
#define Header ltests_Header
#define checkstack ltests_checkstack

#include "ltests.c"
