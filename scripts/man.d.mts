// SPDX-License-Identifier: BSD-2-Clause
export function manPage(verb: string, page: string, commands: unknown): string;
