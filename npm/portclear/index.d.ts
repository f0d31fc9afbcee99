import type { Report } from './document.js';

export type * from './document.js';

/** 18789, `'18789'`, or at one address: `'127.0.0.1:18789'`, `'[::1]:18789'`, `'localhost:18789'` */
export type PortSpec = number | string;

/** The options of the program. `portclear --help` describes them. Without one that describes the service, it is the OpenClaw gateway */
export interface Options {
  /** Ends the call. It rejects with the signal's reason, once the program has ended. Processes that were asked to end go on ending, and nobody kills them */
  signal?: AbortSignal;
  /** The path of the program, in place of the one that npm installed */
  program?: string;

  /** Never end this process or a descendant of it */
  protect?: number | number[];
  /** How long an instance may take to end before SIGKILL, like `'330s'`. The default is 10s */
  grace?: string;
  /** The signal that an instance gets first (`--signal` of the program). The default is TERM */
  firstSignal?: 'TERM' | 'INT' | 'HUP' | 'QUIT' | 'KILL';
  /** How long to watch a cleared port for a restart. The default is 1s */
  settle?: string;
  /** Never send SIGKILL */
  noKill?: boolean;

  /** Dangerous: also end a holder that is not your service */
  anyOwner?: boolean;
  /** Dangerous: also end an instance that a supervisor looks after */
  live?: boolean;
  /** Dangerous: also end the processes that the ended instances started */
  tree?: boolean;
  /** Dangerous: also end the processes that ended runs left behind */
  sweep?: boolean;
  /** Dangerous: also end orphaned children that hold the port */
  offspring?: boolean;

  /** A service that portclear knows */
  service?: 'openclaw';
  /** A variable that its processes were started with, as `'KEY=VALUE'` */
  marker?: string | string[];
  /** Its own executable */
  exe?: string | string[];
  /** The program that runs its script, like `'python3'` */
  runtime?: string | string[];
  /** The name in the package.json of its script */
  package?: string | string[];
  /** The file that holds its pid */
  pidFile?: string | string[];
}

/** Why a call gave no report: the code of the error that it rejects with */
export type FailureCode =
  /** Not on this system: portclear looks on Linux alone, on x64 and arm64 */
  | 'ERR_NOT_SUPPORTED'
  /** The arguments are wrong, and nothing was touched */
  | 'ERR_ARGUMENTS'
  /** The program is not there, or does not start */
  | 'ERR_NO_PROGRAM'
  /** The program ended without a report: somebody killed it */
  | 'ERR_NO_ANSWER';

/**
 * Ends a stale instance of your service that holds the port, and proves by a bind that the port is free.
 * A port that is not free is an answer, and no error: look at `exit`, which is 0 only if all ports are free.
 */
export function clear(ports: PortSpec | PortSpec[], options?: Options): Promise<Report>;

/** Only looks: what `clear` would do. It signals nobody */
export function inspect(ports: PortSpec | PortSpec[], options?: Options): Promise<Report>;
