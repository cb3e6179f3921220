/** `docker.io/library/nginx:1.29` with what tells it from others in front: the eye looks for the name and the tag. */
export function ImageName({ image }: { readonly image: string }) {
  const slash = image.lastIndexOf('/', image.includes('@') ? image.indexOf('@') : undefined);
  const path = image.slice(0, slash + 1);
  const name = image.slice(slash + 1);
  const at = name.search(/[:@]/);
  const tag = at < 0 ? '' : name.slice(at);
  return (
    <span class="image-name">
      <span class="image-path">{path}</span>
      <wbr />
      <b>{at < 0 ? name : name.slice(0, at)}</b>
      <wbr />
      <span class="image-tag">{tag.startsWith('@') ? shortTag(tag) : tag}</span>
    </span>
  );
}

function shortTag(tag: string): string {
  return tag.length > 24 ? `${tag.slice(0, 20)}…` : tag;
}
