// SPDX-License-Identifier: BSD-2-Clause
// Error texts as strerror(3) has them; Node's own differ from what scripts look for.

const TEXT: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EIO: 'Input/output error',
  ENXIO: 'No such device or address',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EACCES: 'Permission denied',
  EFAULT: 'Bad address',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  ENOTDIR: 'Not a directory',
  EINVAL: 'Invalid argument',
  ENFILE: 'Too many open files in system',
  EMFILE: 'Too many open files',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
  EPROTO: 'Protocol error',
  EOPNOTSUPP: 'Operation not supported',
  ETIMEDOUT: 'Connection timed out',
};

/** strerror's text of an error code such as "EBUSY"; undefined when it is none of ours. */
export function errorText(code: unknown): string | undefined {
  return typeof code === 'string' && Object.hasOwn(TEXT, code) ? TEXT[code] : undefined;
}
