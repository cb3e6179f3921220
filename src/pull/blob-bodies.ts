import type { Interval } from '../core/byte-range.ts';
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

/** The body of a fill in progress. */
export function flightBody(reader: FlightReader, onClose: () => void): BlobBody {
  let closed = false;
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
    readableTo: (offset) => reader.readableTo(offset),
    whenReadable: (offset, signal) => reader.whenReadable(offset, signal),
    close() {
      if (closed) return;
      closed = true;
      reader.close();
      onClose();
    },
  };
}
