# Every program that is built from this repository and run by ctest.
#
#   examples/c/*.c, examples/cpp/*.cpp   one program a file; headers shared by several stand beside them
#   tests/c/*.c                          one program a file, compiled as C11 and again as C++17
#   tests/cpp/*.cpp                      one program a file, C++17
#   tests/python/two_sqlites.py          one process with two copies of SQLite
#   tests/python/mixed_processes.py      processes that are killed and started again
#   tests/sqlites/                       programs with two copies of SQLite, that are killed
#   tests/link/                          how the libraries are linked and loaded
#   tests/limits/                        what a call costs at most, in instructions and system calls
#   benches/                             what the calls cost, beside others: see benches/bench.cmake
#
# Tests are named by kind: c11/<name>, cxx17/<name>, cpp/<name>, example/..., python/..., sqlites/..., link/..., limits, and
# valgrind/... for the second run of each under valgrind. Each runs in a directory of its own, empty at the
# start.
enable_language(CXX)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
find_package(Threads REQUIRED)
find_program(VALGRIND_EXECUTABLE valgrind)
if(VALGRIND_EXECUTABLE) # it may be there and yet refuse to start
    execute_process(COMMAND ${VALGRIND_EXECUTABLE} -q true RESULT_VARIABLE valgrind_result OUTPUT_QUIET ERROR_QUIET)
endif()

# Without this our own headers were "system" headers, and their warnings silent.
set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)

# simledger_program(<target> <source> [<library>...]): a program with our settings.
function(simledger_program target source)
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${ARGN} Threads::Threads)
    # -UNDEBUG: assert() works in every build type.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror -UNDEBUG)
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
endfunction()

# simledger_test(<name> <target or command> [<argument>...]): a test that runs in build/run/<name>. A program
# that ends with 77 has printed why it was skipped.
function(simledger_test name command)
    if(TARGET ${command})
        set(command $<TARGET_FILE:${command}>)
    endif()
    add_test(NAME ${name} COMMAND
        ${PROJECT_SOURCE_DIR}/tools/in-fresh-dir ${PROJECT_BINARY_DIR}/run/${name} ${command} ${ARGN})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()

# simledger_valgrind_test(<name> <target> [<argument>...]): the test valgrind/<name>. Any error, and any block
# that is lost, fails it. Programs that would take too long may do less when SIMLEDGER_VALGRIND is set.
# A child that a fork made has the memory of its parent's threads and not the threads, which alone know
# where it is: what is lost counts in programs only that do not fork.
set(forking_programs api_fork|api_clone|api_many_threads|api_watch|api_fork_busy|api_fork_shared|api_transaction_handles|fork_in_callback)
function(simledger_valgrind_test name target)
    set(lost definite,indirect)
    set(environment SIMLEDGER_VALGRIND=1)
    if(name MATCHES "/(${forking_programs})$")
        set(lost none)
        list(APPEND environment LEDGER_TEST_SMALL_LOG=1)
    endif()
    if(VALGRIND_EXECUTABLE AND valgrind_result EQUAL 0)
        simledger_test(valgrind/${name} ${VALGRIND_EXECUTABLE} --quiet --error-exitcode=99
            --leak-check=full --show-leak-kinds=definite,indirect,possible
            --errors-for-leak-kinds=${lost} --fair-sched=try $<TARGET_FILE:${target}> ${ARGN})
        set_tests_properties(valgrind/${name} PROPERTIES ENVIRONMENT "${environment}" TIMEOUT 1800)
    else()
        simledger_test(valgrind/${name} sh -c "echo 'skipped: there is no valgrind that works' && exit 77")
    endif()
endfunction()

# simledger_as_cpp(<variable> <source>): a C++ file that holds the C file. An include and not a copy:
# messages name the real file, and its own includes are found.
function(simledger_as_cpp variable source)
    get_filename_component(name ${source} NAME_WE)
    set(copy ${PROJECT_BINARY_DIR}/as_cpp/${name}.cpp)
    file(GENERATE OUTPUT ${copy} CONTENT "#include \"${source}\"\n")
    set(${variable} ${copy} PARENT_SCOPE)
endfunction()

# --- Examples ----------------------------------------------------------------------------------------

if(SIMLEDGER_BUILD_EXAMPLES)
    file(GLOB examples CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/examples/c/*.c ${PROJECT_SOURCE_DIR}/examples/cpp/*.cpp)
    foreach(source IN LISTS examples)
        get_filename_component(name ${source} NAME_WE)
        get_filename_component(folder ${source} DIRECTORY)
        get_filename_component(language ${folder} NAME)
        set(target example_${language}_${name})
        set(test example/${language}/${name})
        simledger_program(${target} ${source} simledger::shared m)
        if(name STREQUAL anomaly_mesh)
            set(data --data ${PROJECT_SOURCE_DIR}/examples/data/shuttle.csv)
            simledger_test(${test}/threads ${target} --nodes 16 ${data})
            simledger_test(${test}/processes ${target} --nodes 4 --processes ${data})
            set_tests_properties(${test}/threads ${test}/processes PROPERTIES PROCESSORS 2)
        else()
            simledger_test(${test} ${target})
        endif()
        if(name STREQUAL quickstart)
            simledger_valgrind_test(${test} ${target})
        endif()
    endforeach()
endif()

# --- Tests -------------------------------------------------------------------------------------------

if(SIMLEDGER_BUILD_TESTS)
    # The C tests use both libraries between them: as C11 the shared one, as C++17 the static one.
    file(GLOB c_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/c/*.c)
    foreach(source IN LISTS c_tests)
        get_filename_component(name ${source} NAME_WE)
        simledger_as_cpp(source_as_cpp ${source})
        simledger_program(c11_${name} ${source} simledger::shared m)
        simledger_program(cxx17_${name} ${source_as_cpp} simledger::static)
        foreach(kind c11 cxx17)
            simledger_test(${kind}/${name} ${kind}_${name})
        endforeach()
        # Once: the two have the same code, compiled the same way. With the log, which is the default; a few
        # with sqlite too, below.
        simledger_valgrind_test(c11/${name} c11_${name})
        # Ledgers in files once in each way of committing, whichever is the default: see tests/c/check.h.
        # Options are set there by the test itself.
        foreach(commit log sqlite)
            if(name STREQUAL api_options)
                break()
            endif()
            simledger_test(commit_${commit}/${name} c11_${name})
            set_tests_properties(commit_${commit}/${name} PROPERTIES
                ENVIRONMENT LEDGER_TEST_COMMIT=${commit} LABELS commit_${commit})
        endforeach()
        if(name MATCHES "^(api_threads|api_transaction|api_maintenance|api_query|leak)$")
            simledger_valgrind_test(commit_sqlite/${name} c11_${name})
            set_tests_properties(valgrind/commit_sqlite/${name} PROPERTIES
                ENVIRONMENT "SIMLEDGER_VALGRIND=1;LEDGER_TEST_COMMIT=sqlite")
        endif()
    endforeach()

    file(GLOB cpp_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cpp/*.cpp)
    foreach(source IN LISTS cpp_tests)
        get_filename_component(name ${source} NAME_WE)
        simledger_program(cpp_${name} ${source} simledger::shared)
        simledger_test(cpp/${name} cpp_${name})
        simledger_test(commit_sqlite/cpp/${name} cpp_${name})
        set_tests_properties(commit_sqlite/cpp/${name} PROPERTIES
            ENVIRONMENT LEDGER_TEST_COMMIT=sqlite LABELS commit_sqlite)
        simledger_valgrind_test(cpp/${name} cpp_${name})
    endforeach()

    # A host with a SQLite of its own on the same file.
    find_program(PYTHON3_EXECUTABLE python3)
    if(PYTHON3_EXECUTABLE)
        simledger_test(python/two_sqlites ${PYTHON3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/python/two_sqlites.py
            ${simledger_shared})
        simledger_test(python/mixed_processes ${PYTHON3_EXECUTABLE}
            ${PROJECT_SOURCE_DIR}/tests/python/mixed_processes.py ${simledger_shared})
        set_tests_properties(python/two_sqlites python/mixed_processes PROPERTIES PROCESSORS 2)
    else()
        simledger_test(python/two_sqlites sh -c "echo 'skipped: there is no python3' && exit 77")
    endif()

    include(${PROJECT_SOURCE_DIR}/tests/link/link.cmake)
    include(${PROJECT_SOURCE_DIR}/tests/sqlites/sqlites.cmake)

    set(limits ${PROJECT_SOURCE_DIR}/tests/limits)
    simledger_program(limits_calls ${limits}/calls.c simledger::shared)
    simledger_test(limits ${limits}/limits.sh $<TARGET_FILE:limits_calls> ${limits}/limits.txt)
    include(${PROJECT_SOURCE_DIR}/benches/bench.cmake)
endif()
