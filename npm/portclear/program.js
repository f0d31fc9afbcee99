// The program lies in a package of its own for each platform, and npm installs the one that fits.
import { createRequire } from 'node:module';

const PLATFORMS = ['linux-arm64', 'linux-x64'];

export const failure = (code, message) => Object.assign(new Error(message), { code });

// The path of the program. The error is a sentence.
export const program = (platform = `${process.platform}-${process.arch}`) => {
  if (!PLATFORMS.includes(platform)) {
    throw failure('ERR_NOT_SUPPORTED', `not supported here: portclear looks on Linux alone, on x64 and arm64, and this is ${platform}`);
  }
  try {
    return createRequire(import.meta.url).resolve(`@portclear/${platform}/portclear`);
  } catch {
    throw failure('ERR_NO_PROGRAM', `the package @portclear/${platform} is not installed: install portclear with its optional dependencies`);
  }
};
