# Programs with two copies of SQLite on one ledger, for a moment; campaigns/sqlites takes longer.

set(sqlites ${PROJECT_SOURCE_DIR}/tests/sqlites)
find_library(SYSTEM_SQLITE_STATIC libsqlite3.a)

# One that loads both, and one that has both linked in.
simledger_program(sqlites_host ${sqlites}/host.c ${CMAKE_DL_LIBS})
target_include_directories(sqlites_host PRIVATE ${SIMLEDGER_INCLUDE_DIR})
add_dependencies(sqlites_host simledger_libraries)
if(SYSTEM_SQLITE_STATIC)
    simledger_program(sqlites_host_static ${sqlites}/host.c simledger::static ${SYSTEM_SQLITE_STATIC} m)
    target_compile_definitions(sqlites_host_static PRIVATE LINKED)
endif()

# simledger_sqlites_test(<name> <target> <option>...)
function(simledger_sqlites_test name target)
    if(SYSTEM_SQLITE AND TARGET ${target})
        simledger_test(sqlites/${name} ${target} ${simledger_shared} seconds=2 ${ARGN})
    else()
        simledger_test(sqlites/${name} sh -c "echo 'skipped: the system has no libsqlite3 for it' && exit 77")
    endif()
endfunction()
simledger_sqlites_test(sqlite_wal sqlites_host commit=sqlite journal=WAL order=first)
simledger_sqlites_test(sqlite_delete sqlites_host commit=sqlite journal=DELETE order=last)
simledger_sqlites_test(log sqlites_host commit=log order=local)
simledger_sqlites_test(static sqlites_host_static commit=log order=linked)
simledger_sqlites_test(plain_locks sqlites_host commit=sqlite locks=plain)
