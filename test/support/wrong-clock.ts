// Given to Node with --import: the wall clock of the process is wrong by WRONG_CLOCK_MS. Nothing else notices.
const wrongByMs = Number(process.env.WRONG_CLOCK_MS);
const rightNow = Date.now.bind(Date);

globalThis.Date = new Proxy(Date, {
  construct: (target, args, made) =>
    Reflect.construct(target, args.length === 0 ? [rightNow() + wrongByMs] : args, made),
  apply: () => new Date().toString(),
  get: (target, name, self) => (name === 'now' ? () => rightNow() + wrongByMs : Reflect.get(target, name, self)),
});
