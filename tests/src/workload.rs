//! What pods of tests run: a static program that does as its arguments say.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::{run_folder, run_ok};

/// The program. Its first word says what it does:
///
/// - `serve PORT`: answers every HTTP request; `/quit/N` with its end, by that exit code, `/status` with what the kernel says of it,
///   `/env` with its environment, `/ill` with 503 for all that follow, but for these.
/// - `exit N`: ends at once.
/// - `write N`: writes so many lines, and then one each 50 ms.
/// - `eat N`: takes so many MiB of memory.
///
/// Each says what it does, and ends well when it is asked to.
pub(crate) async fn program() -> &'static PathBuf {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_init(async || {
            let (source, program) = (run_folder().join("workload.c"), run_folder().join("workload"));
            std::fs::write(&source, CODE).expect("the folder is ours");
            let words = ["-static", "-Os", "-s", "-o"].map(std::ffi::OsStr::new);
            run_ok("gcc", words.into_iter().chain([program.as_os_str(), source.as_os_str()])).await;
            program
        })
        .await
}

const CODE: &str = r#"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    if (write(1, "bye\n", 4)) _exit(0);
    _exit(0);
}

static void answer(int client, const char *status, const char *body, size_t length) {
    char head[200];
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, length);
    if (write(client, head, size) < 0 || write(client, body, length) < 0) return;
}

static void answer_file(int client, const char *path) {
    static char text[65536];
    int file = open(path, O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text);
    if (file >= 0) close(file);
    answer(client, "200 OK", text, length < 0 ? 0 : length);
}

static int serve(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, is_ill = 0;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) { perror("listen"); return 9; }
    for (;;) {
        char request[4096] = {0};
        int client = accept(listener, 0, 0);
        if (client < 0) continue;
        if (read(client, request, sizeof request - 1) < 0) request[0] = 0;
        char *path = strchr(request, ' ');
        path = path ? path + 1 : "";
        if (!strncmp(path, "/quit/", 6)) {
            answer(client, "200 OK", "bye\n", 4);
            close(client);
            printf("quits\n");
            fflush(stdout);
            exit(atoi(path + 6));
        }
        if (!strncmp(path, "/ill", 4)) is_ill = 1;
        if (!strncmp(path, "/status", 7)) answer_file(client, "/proc/self/status");
        else if (!strncmp(path, "/env", 4)) answer_file(client, "/proc/self/environ");
        else if (is_ill) answer(client, "503 Ill", "ill\n", 4);
        else answer(client, "200 OK", "well\n", 5);
        close(client);
    }
}

int main(int count, char **words) {
    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    if (count < 3) return 8;
    int number = atoi(words[2]);
    printf("%s %d\n", words[1], number);
    fflush(stdout);
    if (!strcmp(words[1], "exit")) return number;
    if (!strcmp(words[1], "serve")) return serve(number);
    if (!strcmp(words[1], "write")) {
        for (int line = 1;; line++) {
            printf("line %d\n", line);
            fflush(stdout);
            if (line > number) usleep(50000);
        }
    }
    if (!strcmp(words[1], "eat")) {
        char *all = malloc((size_t)number << 20);
        for (size_t at = 0; all && at < (size_t)number << 20; at += 4096) all[at] = 1;
        pause();
    }
    return 8;
}
"#;
