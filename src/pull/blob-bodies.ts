import type { Interval } from '../core/byte-range.ts';
import { AppError } from '../core/errors.ts';
import type { FlightReader } from '../flights/flight-reader.ts';
import type { StoredBlob } from '../store/content-store.ts';
import type { BlobBody } from './depot.ts';

/** The body of committed content: all of it is there. */
export function storedBody(blob: StoredBlob, part: Interval | undefined, onClose: () => void): BlobBody {
  const start = part?.start ?? 0;
  const end = part?.end ?? blob.sizeBytes;
  let closed = false;
  return {
    start,
    end,
    storage: { kind: 'file', fd: blob.fd },
    readableTo: (offset) => Math.max(offset, end),
    whenReadable: async (offset) => Math.max(offset, end),
    close() {
      if (closed) return;
      closed = true;
      blob.close();
      onClose();
    },
  };
}

/** The body of a fill in progress. `onFailure` hears of the flight's failure, not of what the client does. */
export function flightBody(reader: FlightReader, onFailure: (error: AppError) => void, onClose: () => void): BlobBody {
  let closed = false;
  const telling = (error: unknown): unknown => {
    if (error instanceof AppError && error === reader.flightFailure) onFailure(error);
    return error;
  };
  return {
    get start() {
      return reader.start;
    },
    get end() {
      return reader.end;
    },
    get storage() {
      return reader.storage;
    },
    readableTo(offset) {
      try {
        return reader.readableTo(offset);
      } catch (error) {
        throw telling(error);
      }
    },
    async whenReadable(offset, signal) {
      try {
        return await reader.whenReadable(offset, signal);
      } catch (error) {
        throw telling(error);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      reader.close();
      onClose();
    },
  };
}
