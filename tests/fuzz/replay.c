/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer's function over files: the corpus as a normal test, and a crash again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++) {
                FILE *file = fopen(argv[i], "rb");
                size_t size = 0, allocated = 1 << 16;
                uint8_t *data = malloc(allocated);

                if (!file || !data) {
                        perror(argv[i]);
                        return 1;
                }
                for (size_t n; (n = fread(data + size, 1, allocated - size, file)) > 0;) {
                        size += n;
                        if (size == allocated)
                                data = realloc(data, allocated *= 2);
                }
                fclose(file);
                /* Exactly as large as the input, so that a read past its end is seen. */
                data = realloc(data, size > 0 ? size : 1);
                LLVMFuzzerTestOneInput(data, size);
                free(data);
        }
        printf("%d inputs\n", argc - 1);
        return argc > 1 ? 0 : 1;
}
