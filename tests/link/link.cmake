# How the libraries are linked and loaded: what they show, and what they leave alone.

set(link ${PROJECT_SOURCE_DIR}/tests/link)

simledger_test(link/symbols ${link}/symbols.sh ${simledger_shared} ${simledger_static}
    ${simledger_soname} ${SIMLEDGER_INCLUDE_DIR}/simledger.h)

# Programs that only link, in both languages.
simledger_as_cpp(only_links_as_cpp ${link}/only_links.c)
foreach(kind shared static)
    simledger_program(link_only_c_${kind} ${link}/only_links.c simledger::${kind})
    simledger_program(link_only_cxx_${kind} ${only_links_as_cpp} simledger::${kind})
    simledger_test(link/only_c_${kind} link_only_c_${kind})
    simledger_test(link/only_cxx_${kind} link_only_cxx_${kind})
endforeach()

# A host whose own functions have SQLite's names. Exported, so that a shared library could see them too.
foreach(kind shared static)
    simledger_program(link_own_names_${kind} ${link}/host_with_sqlite_names.c simledger::${kind})
    set_target_properties(link_own_names_${kind} PROPERTIES ENABLE_EXPORTS ON)
    simledger_test(link/host_with_sqlite_names_${kind} link_own_names_${kind})
endforeach()

# A host that uses the system's SQLite. Only the library is needed: the host declares what it calls.
find_library(SYSTEM_SQLITE NAMES sqlite3 libsqlite3.so.0)
foreach(kind shared static)
    set(test link/host_with_system_sqlite_${kind})
    if(SYSTEM_SQLITE)
        # In both orders on the link line: neither may depend on being first.
        simledger_program(link_system_first_${kind} ${link}/host_with_system_sqlite.c
            ${SYSTEM_SQLITE} simledger::${kind} ${CMAKE_DL_LIBS})
        simledger_program(link_system_last_${kind} ${link}/host_with_system_sqlite.c
            simledger::${kind} ${SYSTEM_SQLITE} ${CMAKE_DL_LIBS})
        simledger_test(${test}_first link_system_first_${kind})
        simledger_test(${test}_last link_system_last_${kind})
    else()
        simledger_test(${test} sh -c "echo 'skipped: the system has no libsqlite3' && exit 77")
    endif()
endforeach()

# Loaded and unloaded while a thread that called in still lives.
simledger_program(link_unload ${link}/unload.c ${CMAKE_DL_LIBS})
target_include_directories(link_unload PRIVATE ${SIMLEDGER_INCLUDE_DIR})
add_dependencies(link_unload simledger_libraries)
foreach(commit log sqlite)
    simledger_test(link/unload/${commit} link_unload ${simledger_shared})
    set_tests_properties(link/unload/${commit} PROPERTIES ENVIRONMENT LEDGER_TEST_COMMIT=${commit})
endforeach()
# Not under valgrind: its child has, and does not close, what its parent has open, which counts as lost there.

# A host with another Rust library in it: two copies of Rust's standard library in one program.
find_program(RUSTC_EXECUTABLE rustc HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin)
set(other ${PROJECT_BINARY_DIR}/lib_other/libother.a)
add_custom_command(OUTPUT ${other}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/lib_other
    # Not our make's job slots: rustc could not reach them, and would say so.
    COMMAND ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MFLAGS
            ${RUSTC_EXECUTABLE} --crate-type staticlib --edition 2024 -O -o ${other} ${link}/other.rs
    DEPENDS ${link}/other.rs VERBATIM)
add_custom_target(link_other DEPENDS ${other})
simledger_program(link_other_first ${link}/host_with_rust.c ${other} simledger::static)
simledger_program(link_other_last ${link}/host_with_rust.c simledger::static ${other})
foreach(order first last)
    add_dependencies(link_other_${order} link_other)
    simledger_test(link/host_with_rust_${order} link_other_${order})
endforeach()

# Installed, and then used in each of the ways that users have.
simledger_test(link/installed ${link}/installed.sh ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
set_tests_properties(link/installed PROPERTIES RUN_SERIAL ON)
