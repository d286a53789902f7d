import { useTitle } from '../parts/title.ts';
import { Link } from '../router.tsx';

export function MissingPage({ title, text }: { title: string; text: string }) {
  useTitle(title);
  return (
    <section class="empty" role="alert">
      <h1>{title}</h1>
      <p>{text}</p>
      <Link to="/" class="button primary">
        All sessions
      </Link>
    </section>
  );
}
