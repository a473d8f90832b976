/*
** Lua and its internal test library as one file: the library needs Lua's internal functions, which lua54_pool's one
** translation unit hides from other files.
*/

#include "onelua.c"

/* names that Lua's libraries have taken */
#define Header ltests_Header
#define checkstack ltests_checkstack

/* a field that our tables have elsewhere; T asks for it as an index into 't->node' only */
#define lastfree	node + getlastfree(t)

#include "ltests.c"
