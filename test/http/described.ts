import type { Test } from 'tap';
import { misfits, type Schema } from './json-schema.js';
import { type Asker, ask, type House, nobody } from './kit.js';

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

/** Asks the API, and holds each answer against the description; tells which of the described answers were never given. */
export const describedAsk = async (house: House, t: Test, prefix: string) => {
  const { paths } = (await ask(house, nobody, 'GET', '/v1/openapi.json')).json as unknown as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const operations = Object.entries(paths)
    .filter(([path]) => path.startsWith(prefix))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, one]) => ({
        ...{ name: `${method.toUpperCase()} ${path}`, one, parts: path.split('{').length },
        shape: new RegExp(
          `^${method.toUpperCase()} ${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/?]+')}$`,
        ),
      })),
    )
    .sort((a, b) => a.parts - b.parts);
  const seen = new Set<string>();
  const asks = async (asker: Asker, method: 'GET' | 'POST', url: string, body?: unknown, headers = {}) => {
    const answer = await ask(house, asker, method, url, body, headers);
    const operation = operations.find(({ shape }) => shape.test(`${method} ${url.split('?')[0]}`));
    const response = operation?.one.responses[String(answer.status)];
    if (operation === undefined || response === undefined) {
      t.fail(`${method} ${url} answers ${answer.status}, which is not described`, { answer: answer.text });
      return answer;
    }
    seen.add(`${operation.name} ${answer.status}`);
    const schema = response.content?.[answer.type.split(';')[0] ?? '']?.schema;
    if (answer.text === '') return answer;
    if (schema === undefined)
      t.fail(`${operation.name} ${answer.status} is ${answer.type}, which is not described`);
    else if (answer.type.includes('json')) {
      const wrong = misfits(schema, answer.json);
      if (wrong.length > 0) t.fail(`${operation.name} ${answer.status} is not as described`, { wrong });
    }
    return answer;
  };
  const missing = (): string[] =>
    operations.flatMap(({ name, one }) =>
      Object.keys(one.responses)
        .filter((status) => Number(status) < 300 && !seen.has(`${name} ${status}`))
        .map((status) => `${name} ${status}`),
    );
  return { asks, missing };
};
